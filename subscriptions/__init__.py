"""The broker and the live topics; what is watched today is watched by reading, see `resolvers.importing`."""
