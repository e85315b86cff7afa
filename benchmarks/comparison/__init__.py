"""What the script benchmarks/compare is made of. Python's standard library only."""
