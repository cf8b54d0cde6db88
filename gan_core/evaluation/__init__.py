"""What the model cards and docs say, measured: metrics, and a folder a paper. The app imports nothing of it."""
