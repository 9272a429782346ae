"""The weighting methods, one module a method, behind one contract and one registry."""
