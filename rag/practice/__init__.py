"""Practice: the service plays the interviewer, and every verdict cites the corpus."""
