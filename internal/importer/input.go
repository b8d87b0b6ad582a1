package importer

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
)

// importInput is an open file or the standard input.
type importInput struct {
	io.Reader
	source io.Reader // what Reader reads from
	size   int64     // 0 if not known
	close  func()
}

// openInput opens a file or takes the standard input. A read of anything but a plain file
// may block forever, so such a read can be interrupted.
func openInput(ctx context.Context, name string, stdin io.Reader) (*importInput, error) {
	if name == "-" {
		in, stop := interruptible(ctx, stdin)
		return &importInput{Reader: newDecoder(in, name), source: stdin, close: stop}, nil
	}
	file, err := os.Open(name)
	if err != nil {
		return nil, err
	}
	info, err := file.Stat()
	if err == nil && info.IsDir() {
		err = errors.New("it is a directory")
	}
	if err != nil {
		return nil, errors.Join(err, file.Close())
	}
	closeFile := func() { _ = file.Close() }
	if info.Mode().IsRegular() {
		in := &importInput{Reader: newDecoder(file, name), source: file, size: info.Size(), close: closeFile}
		var first [2]byte
		if _, err := file.ReadAt(first[:], 0); err == nil && string(first[:]) == gzipMagic {
			in.size = 0 // the size of the text is not known
		}
		return in, nil
	}
	in, stop := interruptible(ctx, file)
	return &importInput{Reader: newDecoder(in, name), source: file, close: func() { stop(); closeFile() }}, nil
}

// decoder unpacks gzip and refuses other forms of input by their first bytes. It looks at
// them in the first Read, because the first bytes of a pipe may take long to arrive.
type decoder struct {
	in     io.Reader
	name   string
	opened bool
	packed bool
}

func newDecoder(in io.Reader, name string) *decoder { return &decoder{in: in, name: name} }

// Read implements io.Reader.
func (d *decoder) Read(text []byte) (int, error) {
	if !d.opened {
		d.opened = true
		if err := d.open(); err != nil {
			return 0, err
		}
	}
	n, err := d.in.Read(text)
	switch {
	case !d.packed || err == nil || errors.Is(err, io.EOF):
	case errors.Is(err, io.ErrUnexpectedEOF):
		err = &ForeignError{"the gzip file is cut off", "get the whole file and run the same command again, nothing is stored twice"}
	case errors.Is(err, errTrailing):
		err = &ForeignError{err.Error(), "what comes before them is imported: find out what they are, or unpack the file with gzip -dc"}
	default:
		err = fmt.Errorf("unpacking it: %w", err)
	}
	return n, err
}

func (d *decoder) open() error {
	in := bufio.NewReaderSize(d.in, 64<<10)
	d.in = in
	first, err := in.Peek(firstBytes)
	if err != nil && !errors.Is(err, io.EOF) {
		return nil // Read returns it, after the bytes before it
	}
	if bytes.HasPrefix(first, []byte(gzipMagic)) {
		unpacked, err := newMembers(in)
		if errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, io.EOF) {
			return &ForeignError{"the gzip file is cut off", "get the whole file"}
		}
		if err != nil {
			return fmt.Errorf("unpacking it: %w", err)
		}
		d.packed = true
		inner := bufio.NewReaderSize(unpacked, 64<<10)
		d.in = inner
		if first, err = inner.Peek(firstBytes); err != nil && !errors.Is(err, io.EOF) {
			return nil // the same
		}
	}
	return foreign(first, d.name)
}

const (
	gzipMagic  = "\x1f\x8b"
	firstBytes = 6
)

// ForeignError says what an input is if it is not JSON Lines, and what to do next.
type ForeignError struct{ What, Next string }

func (e *ForeignError) Error() string { return e.What }

// foreign recognises other forms of input by their first bytes.
func foreign(first []byte, name string) error {
	if name == "-" {
		name = "FILE"
	}
	piped := func(what, command string) error {
		return &ForeignError{"it is " + what + ", not JSON Lines", "convert it: " + command + " | coordaudit import -"}
	}
	for _, form := range []struct{ magic, what, command string }{
		{"PK\x03\x04", "a zip archive", "unzip -p " + name},
		{"PK\x05\x06", "a zip archive", "unzip -p " + name},
		{"\x28\xb5\x2f\xfd", "compressed by zstd", "zstd -dc " + name},
		{"\xfd7zXZ\x00", "compressed by xz", "xz -dc " + name},
		{"BZh", "compressed by bzip2", "bzip2 -dc " + name},
		{"\x04\x22\x4d\x18", "compressed by lz4", "lz4 -dc " + name},
		{"7z\xbc\xaf\x27\x1c", "a 7z archive", "7z x -so " + name},
		{gzipMagic, "compressed by gzip twice", "gzip -dc " + name + " | gzip -dc"},
		{"\x00\x00\xfe\xff", "UTF-32 text", "iconv -f UTF-32 -t UTF-8 " + name},
		{"\xff\xfe\x00\x00", "UTF-32 text", "iconv -f UTF-32 -t UTF-8 " + name},
		{"{\x00\x00\x00", "UTF-32 text", "iconv -f UTF-32LE -t UTF-8 " + name},
		{"\x00\x00\x00{", "UTF-32 text", "iconv -f UTF-32BE -t UTF-8 " + name},
		{"\xfe\xff", "UTF-16 text", "iconv -f UTF-16 -t UTF-8 " + name},
		{"\xff\xfe", "UTF-16 text", "iconv -f UTF-16 -t UTF-8 " + name},
		{"{\x00", "UTF-16 text", "iconv -f UTF-16LE -t UTF-8 " + name},
		{"\x00{", "UTF-16 text", "iconv -f UTF-16BE -t UTF-8 " + name},
	} {
		if bytes.HasPrefix(first, []byte(form.magic)) {
			return piped(form.what, form.command)
		}
	}
	if bytes.HasPrefix(first, []byte("PGDMP")) {
		return &ForeignError{"it is a dump of a PostgreSQL database, not JSON Lines", "restore it with pg_restore"}
	}
	text := bytes.TrimLeft(bytes.TrimPrefix(first, []byte("\uFEFF")), " \t\r\n")
	switch {
	case bytes.HasPrefix(text, []byte("[")):
		return piped("a JSON array", "jq -c '.[]' "+name)
	case bytes.HasPrefix(text, []byte("{\n")), bytes.HasPrefix(text, []byte("{\r\n")):
		return piped("JSON over several lines", "jq -c . "+name)
	}
	return nil
}

// interruptible makes reads end when ctx ends. Nothing can cancel a read of an idle pipe,
// so the read happens on a goroutine. That goroutine ends with the input, with its first
// read after the end of ctx, or with the process.
func interruptible(ctx context.Context, in io.Reader) (reader io.Reader, stop func()) {
	out, feed := io.Pipe()
	go func() {
		_, err := io.Copy(feed, in)
		_ = feed.CloseWithError(err) // nil is io.EOF
	}()
	release := context.AfterFunc(ctx, func() { _ = out.Close() })
	return out, func() {
		release()
		_ = out.Close()
	}
}
