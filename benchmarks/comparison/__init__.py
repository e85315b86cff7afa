"""The parts of the script benchmarks/compare. They need only Python's standard library."""
