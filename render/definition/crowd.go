package definition

import (
	"bytes"
	"regexp"
	"strings"
)

// crowded is the line at which a document has more separators than most, 0 where
// it has not: what takes a value each is then too much before it is parsed, which
// takes a hundred times the memory of the text. Between two values there is a
// comma, a colon, a dash or a bracket, so no more values than separators fit in,
// with their keys twice as many.
//
// Separators in texts count too, but for block scalars in plain sight: a file in a
// ConfigMap may be full of them.
func crowded(text []byte, most int) int {
	if len(text) <= most {
		return 0
	}
	header := regexp.MustCompile(`^( *(?:- +)*)[A-Za-z0-9_./-]+: +[|>][+-]?$`)
	quoted := regexp.MustCompile(`^ *(?:- +)*[A-Za-z0-9_./-]+: +(?:"[^"\\]*"|'[^']*')$`)
	sight, block, found, number := true, -1, 0, 0
	for line := range bytes.Lines(text) {
		number++
		bare := bytes.TrimRight(line, " \r\n")
		indent := len(bare) - len(bytes.TrimLeft(bare, " "))
		if block >= 0 && (len(bare) == 0 || indent > block) {
			continue
		}
		block = -1
		if sight {
			// Behind a quotation mark that may be open, what looks like a block scalar
			// may be a part of that text, and its end another.
			comment := indent < len(bare) && bare[indent] == '#'
			sight = comment || !bytes.ContainsAny(bare, `"'`) || quoted.Match(bare)
			if sight && strings.IndexByte("|>+-", last(bare)) >= 0 {
				if m := header.FindSubmatch(bare); m != nil {
					block = len(m[1])
				}
			}
		}
		if found += separators(line); found > most {
			return number
		}
	}
	return 0
}

func last(text []byte) byte {
	if len(text) == 0 {
		return 0
	}
	return text[len(text)-1]
}

// separators counts what may end a value, or begin a collection.
func separators(line []byte) int {
	blank := func(i int) bool { return i >= len(line) || strings.IndexByte(" \t\r\n", line[i]) >= 0 }
	n := 0
	for i, c := range line {
		switch c {
		case ',', '[', '{', '?':
			n++
		case ':':
			if blank(i+1) || i > 0 && strings.IndexByte(" \t\"'[]{},:", line[i-1]) >= 0 {
				n++
			}
		case '-':
			if blank(i + 1) {
				n++
			}
		}
	}
	return n
}
