// The targets that only precompile headers for others need a source file.
int main() { return 0; }
