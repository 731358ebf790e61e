"""Explanations of answers, and what-if analyses of them. Requests are rows of `Computation`; workers compute them."""
