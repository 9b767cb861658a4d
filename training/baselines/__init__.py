"""What the model has to beat, each a page of code."""
