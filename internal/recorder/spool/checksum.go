package spool

import (
	"bytes"
	"errors"
	"hash/crc32"
)

// A line ends in its checksum, which finds a line that was damaged and is still a record. The
// checksum is written in blanks, which JSON allows, so that coordaudit import and every other
// program read the line as the same record. A tab begins the checksum and marks this form.
// 32 blanks follow, one for each bit of the CRC-32C, the highest first: a tab for 1, a space
// for 0.
const checksumBlanks = 33

var errDamaged = errors.New("does not match its checksum: it was changed after it was written")

// appendChecksum appends the checksum of the line that begins at from.
func appendChecksum(text *bytes.Buffer, from int) {
	sum := crc32.Checksum(text.Bytes()[from:], crc32.MakeTable(crc32.Castagnoli))
	text.WriteByte('\t')
	for bit := 31; bit >= 0; bit-- {
		text.WriteByte(" \t"[sum>>bit&1])
	}
}

// maxExtraBlanks is how many blanks may end a line without a checksum, which another program
// wrote. More blanks are the rest of a checksum.
const maxExtraBlanks = 8

// cutChecksum returns a line without its checksum, whether it had one, and whether the line is
// intact as far as that is known.
func cutChecksum(line []byte) (text []byte, had, intact bool) {
	text = bytes.TrimRight(line, " \t")
	blanks := line[len(text):]
	if len(blanks) != checksumBlanks || blanks[0] != '\t' {
		return text, false, len(blanks) <= maxExtraBlanks
	}
	var sum uint32
	for _, blank := range blanks[1:] {
		sum <<= 1
		if blank == '\t' {
			sum |= 1
		}
	}
	return text, true, sum == crc32.Checksum(text, crc32.MakeTable(crc32.Castagnoli))
}
