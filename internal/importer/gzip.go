package importer

import (
	"bufio"
	"compress/gzip"
	"errors"
	"io"
	"strings"
)

var errTrailing = errors.New("bytes that are no gzip follow the end of the gzip file")

// members unpacks a gzip file of one or more members. The reader of the standard library
// takes other bytes after the last one for a member that is cut off.
type members struct {
	in     *bufio.Reader
	member *gzip.Reader
}

func newMembers(in *bufio.Reader) (*members, error) {
	member, err := gzip.NewReader(in)
	if err != nil {
		return nil, err
	}
	member.Multistream(false)
	return &members{in, member}, nil
}

// Read implements io.Reader.
func (m *members) Read(text []byte) (int, error) {
	for {
		n, err := m.member.Read(text)
		if n > 0 || !errors.Is(err, io.EOF) {
			if errors.Is(err, io.EOF) {
				err = nil // the next call goes on
			}
			return n, err
		}
		next, err := m.in.Peek(len(gzipMagic))
		switch {
		case len(next) == 0:
			return 0, err
		case string(next) == gzipMagic:
		case strings.HasPrefix(gzipMagic, string(next)) && errors.Is(err, io.EOF):
			return 0, io.ErrUnexpectedEOF
		default:
			return 0, errTrailing
		}
		if err := m.member.Reset(m.in); err != nil {
			return 0, err
		}
		m.member.Multistream(false)
	}
}
