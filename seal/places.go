package seal

import (
	"iter"
	"math/bits"
	"strconv"
	"strings"
)

// Places is a set of places in a tile, from 0 to 255.
type Places [TileWidth / 64]uint64

// Add adds a place.
func (p *Places) Add(place uint8) { p[place>>6] |= 1 << (place & 63) }

// Has reports whether the set has a place.
func (p *Places) Has(place uint8) bool { return p[place>>6]>>(place&63)&1 == 1 }

// Count returns the number of places.
func (p *Places) Count() (n int) {
	for _, word := range p {
		n += bits.OnesCount64(word)
	}
	return n
}

// All yields the places in ascending order.
func (p *Places) All() iter.Seq[uint8] {
	return func(yield func(uint8) bool) {
		for i, word := range p {
			for ; word != 0; word &= word - 1 {
				if !yield(uint8(i<<6 + bits.TrailingZeros64(word))) {
					return
				}
			}
		}
	}
}

// String returns the places as ranges, such as 0-3,7,250-255.
func (p *Places) String() string { return string(p.appendText(nil)) }

func (p *Places) appendText(dst []byte) []byte {
	start := len(dst)
	for first := 0; first < TileWidth; first++ {
		if !p.Has(uint8(first)) {
			continue
		}
		last := first
		for last+1 < TileWidth && p.Has(uint8(last+1)) {
			last++
		}
		if len(dst) > start {
			dst = append(dst, ',')
		}
		dst = strconv.AppendInt(dst, int64(first), 10)
		if last > first {
			dst = strconv.AppendInt(append(dst, '-'), int64(last), 10)
		}
		first = last
	}
	return dst
}

// ParsePlaces reads what [Places.String] returns, and no other spelling.
func ParsePlaces(text string) (p Places, ok bool) {
	for part := range strings.SplitSeq(text, ",") {
		from, to, isRange := strings.Cut(part, "-")
		if !isRange {
			to = from
		}
		first, err := strconv.ParseUint(from, 10, 8)
		last, lastErr := strconv.ParseUint(to, 10, 8)
		if err != nil || lastErr != nil {
			return Places{}, false
		}
		for place := first; place <= last; place++ {
			p.Add(uint8(place))
		}
	}
	return p, p.String() == text
}
