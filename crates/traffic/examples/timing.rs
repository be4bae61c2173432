use traffic::kernel::*; use traffic::policy::*; use std::time::Instant;
fn main() {
    let text = std::fs::read_to_string(std::env::args().nth(1).unwrap()).unwrap();
    let p = read::read("x", &text, &|p| std::fs::read_to_string(p)).unwrap().remove(0);
    for _ in 0..3 { let t = Instant::now(); let l = LoadedPolicy::load(&p, &Purpose::Judge).unwrap(); println!("load judge {:?}", t.elapsed());
    let t = Instant::now(); drop(l); println!("drop {:?}", t.elapsed()); }
    for _ in 0..3 { let t = Instant::now(); let l = LoadedPolicy::load(&p, &Purpose::Attach{generation:1,link_header:14,meta:b"{}",flows:None,mirrored:false}).unwrap(); println!("load attach {:?}", t.elapsed());
    println!("verified {}", load::LoadedProgram::of(l.program(Direction::Out).unwrap()).unwrap().verified_instructions);
    let mut f = vec![2,0,0,0,0,1,2,0,0,0,0,2,8,0,0x45,0,0,40,0,0,0,0,64,6,0,0,10,0,0,1,10,0,0,9,0x40,0,1,187,0,0,0,0,0,0,0,0,0x50,2,0,0,0,0,0,0];
    f.resize(64,0);
    println!("{} ns", l.time(&f, Direction::Out, 1_000_000).unwrap());
    f[47]=0x10; println!("{} ns ack", l.time(&f, Direction::Out, 1_000_000).unwrap());
    let t = Instant::now(); for _ in 0..1000 { let _ = l.time(&f, Direction::Out, 1); } println!("1000 runs {:?}", t.elapsed());
    }
}
