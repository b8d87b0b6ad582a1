//go:build unix && !aix && !solaris

package pglocal

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

const (
	homePrefix = "coordaudit-pg-"
	newPrefix  = "new-"
	socketName = ".s.PGSQL.5432"
)

// home is a server's directory, with its socket, log, settings and data. It is locked as
// long as this process or its watchdog lives.
type home struct {
	dir       string
	log, lock *os.File
	pipe      *os.File // the watchdog reads its end
	watchdog  *exec.Cmd
}

func newHome(ctx context.Context, who account, settings string) (*home, error) {
	var tried []error
	for _, base := range []string{os.TempDir(), "/tmp", "/var/tmp"} {
		h, err := newHomeIn(ctx, base, who, settings)
		if err == nil {
			return h, nil
		}
		tried = append(tried, err)
	}
	return nil, fmt.Errorf("making its directory: %w\nset TMPDIR to a folder with a short name that the server's user may enter", errors.Join(tried...))
}

func newHomeIn(ctx context.Context, base string, who account, settings string) (*home, error) {
	base, err := filepath.Abs(base)
	if err != nil {
		return nil, fmt.Errorf("resolving %s: %w", base, err)
	}
	// The kernel allows 103 to 107 bytes. pgx and PostgreSQL split a socket directory at
	// commas.
	if len(filepath.Join(base, homePrefix+"4294967295", socketName)) >= 100 || strings.ContainsAny(base, `,"`) {
		return nil, fmt.Errorf("using %s: too long for a socket's path, or with a comma or quote in it", base)
	}
	if err := who.mayEnter(base); err != nil {
		return nil, err
	}
	sweep(ctx, base, who)
	// The directory is locked under a name that no sweep touches for a minute, and then
	// renamed. So a sweep never sees it unlocked.
	building, err := os.MkdirTemp(base, newPrefix+homePrefix)
	if err != nil {
		return nil, fmt.Errorf("using %s: %w", base, err)
	}
	h := &home{dir: building}
	err = h.furnish(who, settings)
	if err == nil {
		final := filepath.Join(base, strings.TrimPrefix(filepath.Base(building), newPrefix))
		if err = os.Rename(building, final); err == nil {
			h.dir = final
			err = h.startWatchdog(ctx)
		}
	}
	if err != nil {
		return nil, errors.Join(fmt.Errorf("using %s: %w", base, err), h.remove())
	}
	return h, nil
}

// furnish creates our own files while only we own the directory. Later, if we are root, the
// server's user could swap a path for a link.
func (h *home) furnish(who account, settings string) (err error) {
	if h.lock, err = lockDirectory(h.dir); err != nil {
		return err
	}
	if h.log, err = os.OpenFile(filepath.Join(h.dir, "log"), os.O_CREATE|os.O_RDWR|os.O_APPEND, 0o600); err != nil {
		return fmt.Errorf("creating its log: %w", err)
	}
	conf := filepath.Join(h.dir, "postgresql.conf")
	if err := os.WriteFile(conf, []byte(settings), 0o600); err != nil {
		return fmt.Errorf("writing its settings: %w", err)
	}
	if !who.switched {
		return nil
	}
	return errors.Join(os.Chown(conf, int(who.uid), int(who.gid)), os.Chown(h.dir, int(who.uid), int(who.gid)))
}

// remove is called after the server has ended. It waits for the watchdog, which finds
// nothing to do.
func (h *home) remove() error {
	err := os.RemoveAll(h.dir)
	if h.watchdog != nil {
		err = errors.Join(err, h.pipe.Close())
		_ = h.watchdog.Wait() // its result does not matter: the directory is gone
	}
	for _, file := range []*os.File{h.log, h.lock} {
		if file != nil {
			err = errors.Join(err, file.Close())
		}
	}
	return err
}

func (h *home) data() string { return filepath.Join(h.dir, "data") }

// logged returns the current length of the log, for a later tail.
func (h *home) logged() int64 {
	info, err := h.log.Stat()
	if err != nil {
		return 0
	}
	return info.Size()
}

// tail returns the log from an offset on, at most its last 2,000 bytes, as the end of an
// error's text.
func (h *home) tail(since int64) string {
	text := make([]byte, 2000)
	n, _ := h.log.ReadAt(text, max(since, h.logged()-int64(len(text))))
	if n == 0 {
		return ""
	}
	return "; its log ends:\n" + strings.TrimSpace(string(text[:n]))
}
