package pglocal

// FindIn lets a test search places where nothing is installed.
func FindIn(path, patterns []string) (string, error) { return findIn(path, patterns) }
