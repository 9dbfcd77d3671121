"""Diameter (RFC 6733): codec, dictionary, grammar, peers and applications."""
