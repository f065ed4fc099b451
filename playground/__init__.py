"""The page: everything a visitor sees, fed by the event logs that ``align_core`` writes."""

import os

# Gradio and huggingface_hub read these when they are imported: no analytics, nothing fetched, and
# no data frame of ten thousand events rebuilt at every press.
os.environ.setdefault("GRADIO_ANALYTICS_ENABLED", "False")
os.environ.setdefault("GRADIO_ANALYTICS_MAX_EVENTS", "200")
os.environ.setdefault("GRADIO_ANALYTICS_CACHE_FREQUENCY", "1000")
os.environ.setdefault("HF_HUB_OFFLINE", "1")
os.environ.setdefault("HF_HUB_DISABLE_TELEMETRY", "1")
