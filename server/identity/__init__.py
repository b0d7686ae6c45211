"""What stands behind identity's ports: seals, marks of devices, passkeys, and the lists of known passwords."""
