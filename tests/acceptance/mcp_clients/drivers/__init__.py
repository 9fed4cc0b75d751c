"""One driver a client. They run in the clients' own environments, and import nothing of ours."""
