package failsafe

import (
	"bytes"
	"errors"
	"io/fs"
	"strconv"
	"strings"
)

// fileError is a fault of a file of a control group.
type fileError struct{ dir, file, fault string }

func (e *fileError) Error() string { return "/" + e.dir + "/" + e.file + " " + e.fault }

// text is what is in a file, without the space about it; ok is false if it is not
// there.
func (c *cgroups) text(dir, file string) (text string, ok bool, err error) {
	data, err := fs.ReadFile(c.files, dir+"/"+file)
	if errors.Is(err, fs.ErrNotExist) {
		return "", false, nil
	}
	return string(bytes.TrimSpace(data)), err == nil, err
}

// limit is the number in a file. The group at the top has no such files, nor has
// one without the controller: then there is no limit.
func (c *cgroups) limit(dir, file string) (float64, error) {
	text, ok, err := c.text(dir, file)
	if !ok {
		return unlimited, err
	}
	return number(dir, file, text)
}

// quota is a limit that is said by two numbers, the second being what the first
// is of.
func (c *cgroups) quota(dir, file string) (float64, error) {
	text, ok, err := c.text(dir, file)
	if !ok {
		return unlimited, err
	}
	part, whole, _ := strings.Cut(text, " ")
	quota, err := number(dir, file, part)
	if err != nil || quota >= unlimited {
		return quota, err
	}
	period, err := number(dir, file, whole)
	return quota / period, err
}

// count is the number in a file that has to be there.
func (c *cgroups) count(dir, file string) (float64, error) {
	text, ok, err := c.text(dir, file)
	if err != nil {
		return 0, err
	}
	if !ok {
		return 0, &fileError{dir, file, "is not there"}
	}
	return number(dir, file, text)
}

// keyed is a file that has a key and a number on each line.
type keyed struct{ dir, file, text string }

// keys reads such a file; one that is not there has no keys.
func (c *cgroups) keys(dir, file string) (keyed, error) {
	text, _, err := c.text(dir, file)
	return keyed{dir, file, text}, err
}

// number is the number beside a key; ok is false if the key is not there.
func (k keyed) number(key string) (n float64, ok bool, err error) {
	for line := range strings.Lines(k.text) {
		if name, v, _ := strings.Cut(strings.TrimSpace(line), " "); name == key && key != "" {
			n, err = number(k.dir, k.file, v)
			return n, err == nil, err
		}
	}
	return 0, false, nil
}

// field is the number beside a key that has to be there.
func (c *cgroups) field(dir, file, key string) (float64, error) {
	k, err := c.keys(dir, file)
	if err != nil {
		return 0, err
	}
	n, ok, err := k.number(key)
	if !ok && err == nil {
		err = &fileError{dir, file, "says nothing of " + key}
	}
	return n, err
}

// number understands what the two versions say for no limit.
func number(dir, file, text string) (float64, error) {
	if text == "max" || text == "-1" {
		return unlimited, nil
	}
	n, err := strconv.ParseUint(text, 10, 64)
	if err != nil {
		const shown = 32
		return 0, &fileError{dir, file, "says " + strconv.Quote(text[:min(len(text), shown)]) + ", which is not a number"}
	}
	return float64(n), nil
}
