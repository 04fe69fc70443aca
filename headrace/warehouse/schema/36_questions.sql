-- The questions of `task` that anyone said anything about, in the normal form in which two texts are the same: letters with their
-- marks, numbers and symbols, in compatibility form, caseless, one space between words. Shadow answers are not among them.
-- trainer/curate/text.py computes the same form. Case is folded by functions that servers of 25.8 have.
--   normal: the normal form; may be empty
--   digest: its name, 32 hex digits of its SHA-256
CREATE OR REPLACE VIEW questions_normal AS
WITH
    replaceRegexpAll(toValidUTF8(input), '[\\x{AD}\\x{34F}\\x{61C}\\x{200B}-\\x{200F}\\x{202A}-\\x{202E}\\x{2060}-\\x{2064}\\x{2066}-\\x{206F}\\x{FE00}-\\x{FE0F}\\x{FEFF}\\x{E0100}-\\x{E01EF}]', '') AS visible,
    replaceAll(replaceAll(normalizeUTF8NFKC(visible), 'ẞ', 'ss'), 'ı', '\xEF\xB7\x90') AS dotless_kept,
    replaceAll(replaceAll(lowerUTF8(upperUTF8(dotless_kept)), 'ς', 'σ'), '\xEF\xB7\x90', 'ı') AS lowered,
    normalizeUTF8NFKC(translateUTF8(lowered,
        'ꭰꭱꭲꭳꭴꭵꭶꭷꭸꭹꭺꭻꭼꭽꭾꭿꮀꮁꮂꮃꮄꮅꮆꮇꮈꮉꮊꮋꮌꮍꮎꮏꮐꮑꮒꮓꮔꮕꮖꮗꮘꮙꮚꮛꮜꮝꮞꮟꮠꮡꮢꮣꮤꮥꮦꮧꮨꮩꮪꮫꮬꮭꮮꮯꮰꮱꮲꮳꮴꮵꮶꮷꮸꮹꮺꮻꮼꮽꮾꮿᏸᏹᏺᏻᏼᏽ',
        'ᎠᎡᎢᎣᎤᎥᎦᎧᎨᎩᎪᎫᎬᎭᎮᎯᎰᎱᎲᎳᎴᎵᎶᎷᎸᎹᎺᎻᎼᎽᎾᎿᏀᏁᏂᏃᏄᏅᏆᏇᏈᏉᏊᏋᏌᏍᏎᏏᏐᏑᏒᏓᏔᏕᏖᏗᏘᏙᏚᏛᏜᏝᏞᏟᏠᏡᏢᏣᏤᏥᏦᏧᏨᏩᏪᏫᏬᏭᏮᏯᏰᏱᏲᏳᏴᏵ')) AS caseless,
    if(length(input) = lengthUTF8(input), lower(input), caseless) AS folded,
    replaceRegexpAll(folded, '(^|[^\\p{L}\\p{M}\\p{N}])-(\\p{N})', '\\1−\\2') AS signed,
    -- Twice, since a number between two marks is in two matches.
    if(match(signed, '\\p{N} *[*/^&] *\\p{N}'), replaceAll(replaceAll(replaceAll(replaceAll(
        replaceRegexpAll(replaceRegexpAll(signed, '(\\p{N}) *([*/^&]) *(\\p{N})', '\\1\xEF\xB7\x90\\2\\3'),
            '(\\p{N}) *([*/^&]) *(\\p{N})', '\\1\xEF\xB7\x90\\2\\3'),
        '\xEF\xB7\x90*', '∗'), '\xEF\xB7\x90/', '⁄'), '\xEF\xB7\x90^', '↑'), '\xEF\xB7\x90&', '∧'), signed) AS calculated
SELECT
    tenant, inference_id, occurred_at, version, input, label, user_ref, session_id, key_id, consent, audit_probability, extra,
    trimBoth(replaceRegexpAll(replaceAll(calculated, '!=', '≠'), '[^\\p{L}\\p{M}\\p{N}\\p{Sm}\\p{Sc}\\p{So}#%]+', ' ')) AS normal,
    lower(hex(substring(SHA256(normal), 1, 16))) AS digest
FROM inferences FINAL
WHERE task = {task:String} AND arm != 'shadow'
  AND (tenant, inference_id) IN (SELECT tenant, inference_id FROM feedback);
