//go:build unix && !aix && !solaris

package pglocal_test

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/hoc-analytics/coordaudit/internal/pglocal"
)

func TestWrongBinFolderIsNamed(t *testing.T) {
	t.Parallel()
	helper := startHelper(t, nil, executable(t), "COORDAUDIT_PG_BIN=/wrong/folder")
	for _, want := range []string{"starting postgres", "COORDAUDIT_PG_BIN", "/wrong/folder", "unset it"} {
		if !strings.Contains(helper.answer, want) {
			t.Errorf("got error %s, want %q in it", helper.answer, want)
		}
	}
	_, err := pglocal.Start(t.Context(), pglocal.Config{BinDir: "/wrong/folder"})
	if err == nil || errors.Is(err, pglocal.ErrNoPrograms) || !strings.Contains(err.Error(), "/wrong/folder") {
		t.Errorf("got %v, want an error that names the folder", err)
	}
}

func TestMissingProgramsAreExplained(t *testing.T) {
	t.Parallel()
	_, err := pglocal.FindIn([]string{"", t.TempDir()}, []string{t.TempDir() + "/*"})
	if !errors.Is(err, pglocal.ErrNoPrograms) {
		t.Fatalf("got %v, want ErrNoPrograms", err)
	}
	for _, want := range []string{"apt-get install postgresql", "brew install postgresql@17", "COORDAUDIT_PG_BIN", "COORDAUDIT_TEST_DATABASE_URL"} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("got %v, want %q in it", err, want)
		}
	}
}

func TestFindPrefersPath(t *testing.T) {
	t.Parallel()
	base := t.TempDir()
	for _, dir := range []string{"9.6/bin", "15/bin", "14/bin", "own"} {
		for _, program := range []string{"initdb", "postgres"} {
			file := filepath.Join(base, dir, program)
			if err := errors.Join(os.MkdirAll(filepath.Dir(file), 0o755), os.WriteFile(file, nil, 0o755)); err != nil {
				t.Fatal(err)
			}
		}
	}
	links := filepath.Join(base, "links")
	if err := errors.Join(os.Mkdir(links, 0o755), os.Symlink(filepath.Join(base, "own/initdb"), filepath.Join(links, "initdb"))); err != nil {
		t.Fatal(err)
	}
	patterns := []string{base + "/*/bin"}
	for want, path := range map[string][]string{"15/bin": {"/nowhere"}, "own": {links}} {
		if got, err := pglocal.FindIn(path, patterns); got != filepath.Join(base, want) || err != nil {
			t.Errorf("PATH %s: got %s, %v, want %s", path, got, err, want)
		}
	}
}
