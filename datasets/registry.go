package datasets

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/agnivade/levenshtein"
)

// Reader reads one layout.
type Reader interface {
	// List lists the samples of r.Split below r.Root, in any order, with the dataset's own classes. It need not list classes that are
	// not in r.Classes, and may leave r.Classes, Skip and Shots to the caller. Errors name the file or folder and what is wrong there.
	List(ctx context.Context, r Request) (*Listing, error)
}

var readers = map[string]Reader{}

// Register adds a format. It is called from init functions; a name twice is a mistake of the program.
func Register(format string, r Reader) {
	if _, twice := readers[format]; twice {
		panic(fmt.Sprintf("datasets: the format %q is registered twice", format))
	}
	readers[format] = r
}

// Formats lists the registered formats, sorted.
func Formats() []string { return slices.Sorted(maps.Keys(readers)) }

func lookup(format string) (Reader, error) {
	if r, ok := readers[format]; ok {
		return r, nil
	}
	nearest := slices.MinFunc(append(Formats(), "imagefolder"), func(a, b string) int {
		return levenshtein.ComputeDistance(a, format) - levenshtein.ComputeDistance(b, format)
	})
	return nil, fmt.Errorf("no dataset format is called %q: did you mean %q? The formats are %s", format, nearest, strings.Join(Formats(), ", "))
}
