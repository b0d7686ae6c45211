"""Verbs: one thin function per operation, which delegates to the domain."""
