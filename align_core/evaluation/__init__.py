"""The evaluation of policies and reward models, the same for every method."""
