"""What leaves the machine: exported graphs, runs on a hub with their card, citations."""
