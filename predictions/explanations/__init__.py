"""What moved an answer, and what would change it. Requests are rows of `Computation`; workers compute them."""
