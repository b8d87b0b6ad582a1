//go:build unix && !aix && !solaris

package pglocal

import (
	"errors"
	"fmt"
	"os"
	"os/user"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
)

// account is the user that runs the server. It is this process's user, or another one if
// that is root, since PostgreSQL refuses to run as root.
type account struct {
	switched bool
	uid, gid uint32 // if switched
}

func serverAccount() (account, error) {
	if os.Geteuid() != 0 {
		return account{}, nil
	}
	for _, name := range []string{"postgres", "nobody"} {
		found, err := user.Lookup(name)
		if err != nil {
			continue
		}
		uid, uidErr := strconv.ParseUint(found.Uid, 10, 32)
		gid, gidErr := strconv.ParseUint(found.Gid, 10, 32)
		if err := errors.Join(uidErr, gidErr); err != nil {
			return account{}, fmt.Errorf("reading the ids of user %s: %w", name, err)
		}
		return account{switched: true, uid: uint32(uid), gid: uint32(gid)}, nil
	}
	return account{}, errors.New("choosing its user: PostgreSQL refuses to run as root, and there is no user \"postgres\" or \"nobody\"; " +
		"add one (adduser --system postgres) or run this as an ordinary user")
}

// processAttributes puts the server into its own process group. So Ctrl-C reaches only the
// caller, which may still need the server.
func (a account) processAttributes() *syscall.SysProcAttr {
	attributes := &syscall.SysProcAttr{Setpgid: true}
	if a.switched {
		attributes.Credential = &syscall.Credential{Uid: a.uid, Gid: a.gid}
	}
	return attributes
}

// mayEnter is called before anything is started, because initdb's own "permission denied"
// names neither the user nor the folder.
func (a account) mayEnter(dir string) error {
	if !a.switched {
		return nil
	}
	dir, err := filepath.EvalSymlinks(dir)
	if err != nil {
		return fmt.Errorf("resolving %s: %w", dir, err)
	}
	for ; ; dir = filepath.Dir(dir) {
		info, err := os.Stat(dir)
		if err != nil {
			return fmt.Errorf("checking who may enter %s: %w", dir, err)
		}
		needed := os.FileMode(0o001)
		if stat, ok := info.Sys().(*syscall.Stat_t); ok && stat.Uid == a.uid {
			needed = 0o100
		} else if ok && stat.Gid == a.gid {
			needed = 0o010
		}
		if info.Mode()&needed == 0 {
			return fmt.Errorf("entering %s (mode %04o) as uid %d, which runs PostgreSQL because this process is root: %w",
				dir, info.Mode().Perm(), a.uid, os.ErrPermission)
		}
		if dir == filepath.Dir(dir) {
			return nil
		}
	}
}

// environment returns this process's environment without the variables that the server
// programs would read as settings. LC_ALL=C keeps their messages in English.
func environment() []string {
	var kept []string
	for _, entry := range os.Environ() {
		if !strings.HasPrefix(entry, "PG") && !strings.HasPrefix(entry, "LC_") && !strings.HasPrefix(entry, "TZ=") {
			kept = append(kept, entry)
		}
	}
	return append(kept, "LC_ALL=C")
}
