"""The bench: what does Hestia add? One interleaved session of Hestia and its peers; see README.md beside this file."""
