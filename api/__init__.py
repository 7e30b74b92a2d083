"""The HTTP service around a RagPipeline."""
