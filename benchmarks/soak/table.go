package main

import (
	"errors"
	"fmt"
	"io"
	"strings"
	"text/tabwriter"
)

// write prints the rows and returns those that are wrong as an error.
func write(out io.Writer, rows []row) error {
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "layer\tcalls\tsuccesses\tfailures\tignored\trefused\tresult")
	var wrong []error
	for _, r := range rows {
		fmt.Fprintf(w, "%s\t%d\t%d\t%d\t%d\t%d\t%s\n", r.layer, r.calls, r.successes, r.failures, r.ignored, r.refusals, r.verdict())
		if len(r.wrong) > 0 {
			wrong = append(wrong, fmt.Errorf("row %q is wrong: %s", r.layer, strings.Join(r.wrong, "; ")))
		}
	}
	return errors.Join(append(wrong, w.Flush())...)
}
