package spool

import (
	"io/fs"
	"os"
	"path/filepath"
)

// File and Disk let a test intercept the calls to files.
type (
	File = file
	Disk = disk
)

// OSDisk is the real disk.
type OSDisk = osDisk

// OpenOn opens a spool on the test's own disk.
func OpenOn(disk Disk, config Config) (*Directory, Found, error) { return open(disk, config) }

// SetCreate wraps the files of new segments.
func SetCreate(d *Directory, wrap func(File) File) {
	d.disk = wrappingDisk{Disk: d.disk, dir: d.path, wrap: wrap}
}

type wrappingDisk struct {
	Disk
	dir  string
	wrap func(File) File
}

func (d wrappingDisk) OpenFile(path string, flag int, perm fs.FileMode) (File, error) {
	made, err := d.Disk.OpenFile(path, flag, perm)
	if err != nil || flag&os.O_EXCL == 0 || filepath.Dir(path) != d.dir {
		return made, err
	}
	return d.wrap(made), nil
}
