// Package ownfile reads small files that a user names, such as those of keys and tokens. A secret one is refused
// if others than its owner can read or write it (not on Windows).
package ownfile

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"runtime"
	"strings"

	"github.com/hoc-analytics/coordaudit/audit"
)

// MaxSize is the size of a file, in bytes, beyond which another one was named by mistake.
const MaxSize = 4 << 10

// Kind says what a file should hold.
type Kind struct {
	Noun   string // what it holds, such as key
	Not    string // what a file is that is too large, such as: is not a key
	Else   string // what to do if it is not there, besides checking the path; may be empty
	Secret bool
	Max    int // bytes; defaults to MaxSize
}

// Read returns the text of a file without the spaces around it. It is Bytes otherwise.
func Read(path string, kind Kind) (string, error) {
	data, err := Bytes(path, kind)
	return strings.TrimSpace(string(data)), err
}

// Bytes returns what a file holds. It does not open what is not a file, since a pipe could block.
// Its error has the cause and the next step, and not the path.
func Bytes(path string, kind Kind) ([]byte, error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, withNext(err, strings.TrimSuffix("check the path or "+kind.Else, " or "))
	}
	if !info.Mode().IsRegular() {
		return nil, fmt.Errorf("it is not a file, give the path of the %s file", kind.Noun)
	}
	file, err := os.Open(path)
	if err != nil {
		return nil, withNext(err, "run as the owner of the file")
	}
	defer file.Close() //nolint:errcheck // nothing was written
	if info, err = file.Stat(); err != nil {
		return nil, withNext(err, "try again")
	}
	if kind.Secret && runtime.GOOS != "windows" && info.Mode().Perm()&0o077 != 0 {
		return nil, fmt.Errorf("others can read or write it (mode %04o), run chmod 600 %s, and make a new %s if it was seen", info.Mode().Perm(), audit.Printable(path), kind.Noun)
	}
	most := cmp.Or(kind.Max, MaxSize)
	data, err := io.ReadAll(io.LimitReader(file, int64(most)+1))
	switch {
	case err != nil:
		return nil, withNext(err, "try again")
	case len(data) > most:
		return nil, fmt.Errorf("it has more than %d KiB and %s, check the path", most>>10, kind.Not)
	}
	return data, nil
}

func withNext(err error, next string) error { return fmt.Errorf("%s, %s", Cause(err), next) }

// Cause is the text of a file error without the path, which may not be printable.
func Cause(err error) string {
	if failed, ok := errors.AsType[*fs.PathError](err); ok {
		err = failed.Err
	}
	return audit.Printable(err.Error())
}
