"""The two-tower model: from point-in-time features to a bundle that serving picks up."""
