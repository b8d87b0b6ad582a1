package serving

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"runtime"
	"strings"

	"github.com/hoc-analytics/coordaudit/internal/format"
)

// A token has at least minToken characters, so that it cannot be guessed, and a file at most
// maxTokenFile bytes, so that another file is not mistaken for one.
const minToken, maxTokenFile = 16, 4 << 10

// readToken reads the token from a file that only its owner may read.
func readToken(path string) (string, error) {
	failed := func(cause string) error {
		return fmt.Errorf("reading the token file %s: %s", format.Printable(path), cause)
	}
	info, err := os.Stat(path)
	if err != nil {
		return "", failed(withoutPath(err) + ", check the path")
	}
	if !info.Mode().IsRegular() { // a pipe could block
		return "", failed("it is not a file, give the path of the token file")
	}
	file, err := os.Open(path)
	if err != nil {
		return "", failed(withoutPath(err) + ", run as the owner of the file")
	}
	defer file.Close() //nolint:errcheck // nothing was written
	if info, err = file.Stat(); err != nil {
		return "", failed(withoutPath(err) + ", try again")
	}
	if runtime.GOOS != "windows" && info.Mode().Perm()&0o077 != 0 {
		return "", failed(fmt.Sprintf("others can read or write it (mode %04o), run chmod 600 %s, and make a new token if it was seen", info.Mode().Perm(), format.Printable(path)))
	}
	data, err := io.ReadAll(io.LimitReader(file, maxTokenFile+1))
	token := strings.TrimSpace(string(data))
	switch {
	case err != nil:
		return "", failed(withoutPath(err) + ", try again")
	case len(data) > maxTokenFile:
		return "", failed("it has more than 4 KiB and is no token, check the path")
	case len(token) < minToken || strings.ContainsAny(token, " \t\r\n"):
		return "", failed(fmt.Sprintf("it must hold one word of %d characters or more, make one with: openssl rand -hex 32", minToken))
	}
	return token, nil
}

// withoutPath is the text of an error without the path that it names: the message has it.
func withoutPath(err error) string {
	if at, ok := errors.AsType[*fs.PathError](err); ok {
		err = at.Err
	}
	return err.Error()
}
