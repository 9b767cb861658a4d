"""The search for settings of a training: `python -m training tune`."""
