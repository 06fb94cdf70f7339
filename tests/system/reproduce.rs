//! Making a result again, to the bit; and what is said when that fails.

use begat_tests::{Home, add_test_data, example, processes};
use serde_json::Value;

const GPT: &str = "configs/recipes/test/gpt.toml";
const LLAMA: &str = "configs/recipes/test/llama.toml";
const DIFFERS: i32 = 8;
const CORRUPT: i32 = 9;
const NO_PRODUCER: i32 = 10;

fn assert_identical(verdict: &Value) {
    assert_eq!(verdict["state"], "identical", "{verdict}");
    for output in verdict["outputs"].as_array().unwrap() {
        assert_eq!(output["expected"], output["found"]);
        assert_eq!(output["tensors"], output["identical_tensors"]);
    }
}

#[test]
fn the_sft_checkpoint_with_one_two_and_four_threads() {
    let home = Home::new();
    let _daemon = home.start();
    add_test_data(&home);
    let cli = home.cli();
    for (recipe, name) in [(GPT, "test-gpt/sft"), (LLAMA, "test-llama/sft")] {
        cli.json([
            "launch",
            recipe,
            "--set",
            "stages.sft.threads=2",
            "--follow",
        ]);
        for (at, threads) in ["1", "2", "4"].iter().enumerate() {
            let answer = cli.json(["reproduce", name, "--threads", threads]);
            let verdict = &answer["verdicts"][0];
            assert_identical(verdict);
            assert!(verdict["outputs"][0]["tensors"].as_u64().unwrap() > 10);
            assert!(verdict["steps_compared"].as_u64().unwrap() > 10);
            let attempt = verdict["attempt"].as_str().unwrap();
            assert!(
                attempt.ends_with(&format!(".{}", at + 2)),
                "{attempt} is an attempt of its own"
            );
        }
    }
}

#[test]
fn the_whole_ancestry() {
    let home = Home::new();
    let _daemon = home.start();
    add_test_data(&home);
    let cli = home.cli();
    cli.json(["launch", GPT, "--follow"]);
    let answer = cli.json(["reproduce", "test-gpt/sft", "--deep"]);
    let verdicts = answer["verdicts"].as_array().unwrap();
    assert_eq!(verdicts.len(), 3, "tokenizer, pretrain, sft");
    verdicts.iter().for_each(assert_identical);
}

#[test]
fn a_perturbed_update_is_named_with_its_step_and_tensor() {
    let home = Home::new();
    let daemon = home.start();
    add_test_data(&home);
    let cli = home.cli();
    cli.json(["launch", GPT, "--follow"]);
    daemon.stop();

    let stage = example("perturbed_stage");
    let config = format!(
        "threads = 1\nstage_program = {:?}\n[slots]\ncpu = 2\n",
        stage.display().to_string()
    );
    let home = home.reconfigured(&config);
    let _daemon = home.start_with(&[("BEGAT_PERTURBED_STEP", "7")]);
    let answer = home.cli().run(["--json", "reproduce", "test-gpt/sft"]);
    assert_eq!(answer.code, DIFFERS, "{}{}", answer.stdout, answer.stderr);
    let view: Value = serde_json::from_str(&answer.stdout).unwrap();
    let verdict = &view["verdicts"][0];
    assert_eq!(verdict["state"], "different");
    assert_eq!(
        verdict["first_differing_step"], 8,
        "the step after the perturbed update sees it first"
    );
    let tensor = &verdict["outputs"][0]["differing_files"][0]["tensors"][0];
    assert!(
        tensor["name"].as_str().unwrap().starts_with("transformer."),
        "{tensor}"
    );
    assert!(tensor["max_difference"].as_f64().unwrap() > 0.0);

    let told = home.cli().run(["reproduce", "test-gpt/sft"]);
    assert_eq!(told.code, DIFFERS);
    assert!(told.stdout.contains("step 8"), "{}", told.stdout);
    assert!(
        told.stdout.contains(tensor["name"].as_str().unwrap()),
        "{}",
        told.stdout
    );
}

#[test]
fn an_edited_stored_output_is_corruption() {
    let home = Home::new();
    let daemon = home.start();
    add_test_data(&home);
    let cli = home.cli();
    cli.json(["launch", GPT, "--follow"]);
    let folder = home.path().join("out");
    cli.ok(["checkout", "test-gpt/sft", folder.to_str().unwrap()]);
    daemon.stop();
    flip_a_bit_of(
        &home,
        &std::fs::read(folder.join("model.safetensors")).unwrap(),
    );
    let _daemon = home.start();
    let report = cli.run(["--json", "fsck", "--read-data"]);
    assert_eq!(report.code, CORRUPT, "{}", report.stdout);
    assert_eq!(cli.run(["reproduce", "test-gpt/tokenizer"]).code, 0);
    let answer = cli.run(["reproduce", "test-gpt/sft"]);
    assert_eq!(answer.code, CORRUPT, "{}{}", answer.stdout, answer.stderr);
    let again = home.path().join("again");
    assert_eq!(
        cli.run(["checkout", "test-gpt/sft", again.to_str().unwrap()])
            .code,
        CORRUPT
    );
    assert!(!again.exists(), "nothing damaged is handed out");
}

/// Flips a bit of the stored header of a safetensors file, which is a chunk of its own: found by its id in the pack.
fn flip_a_bit_of(home: &Home, safetensors: &[u8]) {
    let length = u64::from_le_bytes(safetensors[..8].try_into().unwrap());
    let header = &safetensors[..8 + usize::try_from(length).unwrap()];
    let id = *begat_schemas::ChunkId::of(header).as_bytes();
    let mut packs = Vec::new();
    collect(&home.data(), &mut packs);
    for pack in packs {
        let mut bytes = std::fs::read(&pack).unwrap();
        if let Some(at) = bytes.windows(32).position(|window| *window == id) {
            bytes[at + 250] ^= 1;
            processes::make_writable(&pack);
            std::fs::write(pack, bytes).unwrap();
            return;
        }
    }
    panic!("no pack holds the header's chunk");
}

fn collect(folder: &std::path::Path, packs: &mut Vec<std::path::PathBuf>) {
    for entry in std::fs::read_dir(folder).unwrap().flatten() {
        let path = entry.path();
        if path.is_dir() {
            collect(&path, packs);
        } else if path.parent().unwrap().ends_with("packs") {
            packs.push(path);
        }
    }
}

#[test]
fn what_was_added_has_no_producer() {
    let home = Home::new();
    let _daemon = home.start();
    add_test_data(&home);
    let answer = home.cli().run(["reproduce", "test/sft"]);
    assert_eq!(answer.code, NO_PRODUCER);
    assert!(answer.stderr.contains("added"), "{}", answer.stderr);
}
