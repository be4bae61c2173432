// Loads an object with cilium/ebpf and runs one of its programs: `loader OBJECT PROGRAM TIMES`.
package main

import (
	"log"
	"os"
	"strconv"

	"github.com/cilium/ebpf"
)

func main() {
	collection, err := ebpf.LoadCollection(os.Args[1])
	if err != nil {
		log.Fatal(err)
	}
	defer collection.Close()
	times, err := strconv.Atoi(os.Args[3])
	if err != nil {
		log.Fatal(err)
	}
	for i := 0; i < times; i++ {
		if _, _, err := collection.Programs[os.Args[2]].Test(make([]byte, 64)); err != nil {
			log.Fatal(err)
		}
	}
}
