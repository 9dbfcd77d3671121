"""The whole daemon but the sockets, under a seeded clock, network and store."""
