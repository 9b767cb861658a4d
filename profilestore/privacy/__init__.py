"""What the platform does for the person in the data."""
