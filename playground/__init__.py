"""The page: a Gradio app that shows and controls runs of `align_core` through their event logs."""

import os

from align_core.config.environment import set_library_environment

set_library_environment()
# Gradio reads these variables when it is imported. They turn off analytics, and keep Gradio from
# rebuilding a data frame of ten thousand events at every click.
os.environ.setdefault("GRADIO_ANALYTICS_ENABLED", "False")
os.environ.setdefault("GRADIO_ANALYTICS_MAX_EVENTS", "200")
os.environ.setdefault("GRADIO_ANALYTICS_CACHE_FREQUENCY", "1000")
# At its first event Gradio asks matplotlib, where it is installed, for a backend. Without this one,
# matplotlib looks for a window system first and imports all of pyplot: the server answers nobody
# for 1.2 s.
os.environ.setdefault("MPLBACKEND", "agg")
