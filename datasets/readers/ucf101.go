package readers

import (
	"context"
	"errors"
	"fmt"
	"path"
	"regexp"
	"strconv"
	"strings"
	"sync"

	"regft/datasets"
)

func init() {
	datasets.Register("ucf101", splitFile{images: "UCF-101-midframes", file: "split_zhou_UCF101.json", fallback: ucfLists, format: "ucf101"})
}

// camelWord is a word of a name such as ApplyEyeMakeup.
var camelWord = sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(`[A-Z][^A-Z]*`) })

// ucfLists reads the first of the three official splits. Labels are by the action's number in classInd.txt; the numbers in the lists,
// of which one is wrong, do not count.
func ucfLists(_ context.Context, t *tree) (splits, error) {
	const folder = "ucfTrainTestlist/"
	labels := map[string]int{}
	_, err := t.listed(folder+"classInd.txt", func(line string) (item, error) {
		number, action, ok := strings.Cut(line, " ")
		n, err := strconv.Atoi(number)
		if !ok || err != nil || n < 1 || n > mostClasses {
			return item{}, errors.New("want a number from 1 on and an action")
		}
		labels[action] = n - 1
		return item{}, nil
	})
	if err != nil {
		return nil, err
	}
	parse := func(line string) (item, error) {
		video, _, _ := strings.Cut(line, " ")
		action, file, ok := strings.Cut(video, "/")
		label, known := labels[action]
		if !ok || !known {
			return item{}, fmt.Errorf("want ACTION/VIDEO with an action of classInd.txt")
		}
		class := strings.Join(camelWord().FindAllString(action, -1), "_")
		return item{path.Join("UCF-101-midframes", class, strings.TrimSuffix(file, ".avi")+".jpg"), label, class}, nil
	}
	trainval, err := t.listed(folder+"trainlist01.txt", parse)
	if err != nil {
		return nil, err
	}
	test, err := t.listed(folder+"testlist01.txt", parse)
	if err != nil {
		return nil, err
	}
	return heldOut(trainval, test)
}
