"""The edge: whatever stands between a client and the execution of a GraphQL operation."""
