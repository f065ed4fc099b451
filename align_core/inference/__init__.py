"""Questions to trained models: samples, rewards and log-probabilities."""
