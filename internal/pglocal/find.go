package pglocal

import (
	"cmp"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
)

// ErrNoPrograms means that Find found no installed PostgreSQL server. The error that wraps
// it lists ways to get one.
var ErrNoPrograms = errors.New("no PostgreSQL server programs (initdb, postgres) found")

const (
	binVariable = "COORDAUDIT_PG_BIN"

	waysToGetOne = `Each of these gives you a server:
  apt-get install postgresql        (Debian, Ubuntu; it need not run)
  brew install postgresql@17        (macOS)
  export COORDAUDIT_PG_BIN=/path/to/bin   (the folder with initdb and postgres)
  export COORDAUDIT_TEST_DATABASE_URL=postgres://postgres:secret@localhost:5432/postgres   (for the tests)`
)

// Find returns the folder with initdb and postgres. It is COORDAUDIT_PG_BIN, which must be
// right if it is set. Otherwise it is the first such folder on PATH. Otherwise it is the
// newest major version in the places where Debian, PGDG's RPMs, Alpine, Homebrew,
// Postgres.app, MacPorts and EDB install it. If there is none, the error wraps
// ErrNoPrograms.
func Find() (binDir string, err error) {
	if dir := os.Getenv(binVariable); dir != "" {
		if dir, err = checkPrograms(dir); err != nil {
			// This does not wrap ErrNoPrograms: a caller that can go on without a server
			// must not ignore a wrong setting.
			return "", fmt.Errorf("finding postgres by %s: %w; set it to the folder with initdb and postgres, or unset it", binVariable, err)
		}
		return dir, nil
	}
	return findIn(filepath.SplitList(os.Getenv("PATH")), []string{
		"/usr/lib/postgresql/*/bin",
		"/usr/pgsql-*/bin",
		"/usr/libexec/postgresql*",
		"/opt/homebrew/opt/postgresql*/bin",
		"/usr/local/opt/postgresql*/bin",
		"/home/linuxbrew/.linuxbrew/opt/postgresql*/bin",
		"/Applications/Postgres.app/Contents/Versions/*/bin",
		"/opt/local/lib/postgresql*/bin",
		"/Library/PostgreSQL/*/bin",
		"/usr/local/pgsql/bin",
	})
}

func (c Config) binDir() (string, error) {
	if c.BinDir == "" {
		return Find()
	}
	return checkPrograms(c.BinDir)
}

func findIn(path, patterns []string) (string, error) {
	for _, dir := range path {
		// A link's folder may hold only initdb. The programs are together in the link's target.
		initdb, err := filepath.EvalSymlinks(filepath.Join(dir, "initdb"))
		if err != nil || dir == "" {
			continue
		}
		if dir, err = checkPrograms(filepath.Dir(initdb)); err == nil {
			return dir, nil
		}
	}
	var found []string
	for _, pattern := range patterns {
		matches, err := filepath.Glob(pattern)
		if err != nil {
			return "", fmt.Errorf("finding postgres in %s: %w", pattern, err)
		}
		for _, dir := range matches {
			if dir, err := checkPrograms(dir); err == nil {
				found = append(found, dir)
			}
		}
	}
	if len(found) == 0 {
		return "", fmt.Errorf("finding postgres: %w\n%s", ErrNoPrograms, waysToGetOne)
	}
	return slices.MaxFunc(found, func(a, b string) int { return cmp.Compare(majorIn(a), majorIn(b)) }), nil
}

// checkPrograms returns an absolute path, because the server runs in another working
// directory.
func checkPrograms(dir string) (string, error) {
	dir, err := filepath.Abs(dir)
	if err != nil {
		return "", fmt.Errorf("resolving %s: %w", dir, err)
	}
	for _, program := range []string{"initdb", "postgres"} {
		if _, err := exec.LookPath(filepath.Join(dir, program)); err != nil {
			return "", fmt.Errorf("looking for %s in %s: %w", program, dir, err)
		}
	}
	return dir, nil
}

// majorIn returns 17 for …/postgresql@17/bin and 9.6 for …/9.6/bin. A folder without a
// number comes last.
func majorIn(dir string) float64 {
	dir = strings.TrimRightFunc(dir, func(r rune) bool { return r < '0' || r > '9' })
	number, err := strconv.ParseFloat(dir[strings.LastIndexFunc(dir, func(r rune) bool { return r != '.' && (r < '0' || r > '9') })+1:], 64)
	if err != nil {
		return 0
	}
	return number
}
