package pglocal

// FindIn lets a test look where nothing is installed.
func FindIn(path, patterns []string) (string, error) { return findIn(path, patterns) }
