"""Tables, a file each: a pure function from `Inputs` to a `Table`, and in `TABLES` its name."""
