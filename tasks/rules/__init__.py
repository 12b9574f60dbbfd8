"""The numbers and decisions of domain.md, as pure functions: values in, values out, standard library only."""
