"""The page: everything a visitor sees, fed by the event logs that ``align_core`` writes."""

import os

from align_core.config.environment import stay_local

stay_local()
# Gradio reads these when it is imported: no analytics, and no data frame of ten thousand events
# rebuilt at every press.
os.environ.setdefault("GRADIO_ANALYTICS_ENABLED", "False")
os.environ.setdefault("GRADIO_ANALYTICS_MAX_EVENTS", "200")
os.environ.setdefault("GRADIO_ANALYTICS_CACHE_FREQUENCY", "1000")
