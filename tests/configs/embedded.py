"""Read by a program that embeds the server: above what its `init` says, below the command line."""

backlog = 13
timeout = 13
