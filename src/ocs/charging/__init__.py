"""Charging: requests and answers in domain words, the life of a session, and the decision on each request."""
