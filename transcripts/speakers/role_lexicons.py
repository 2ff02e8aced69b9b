"""Built-in lexicons of roles, by name, for contexts that request one.

Each lists phrases that one side of such a conversation says and the other side rarely says. All
languages are in one list, since a phrase of one language does not occur in another. See
`transcripts.speakers.roles`.
"""

from __future__ import annotations

from collections.abc import Mapping

from transcripts.speakers.roles import Lexicon

_PROVIDER = (
    # English
    "any allergies", "any pain", "any history of", "any other symptoms", "any questions for me",
    "are you allergic", "are you taking", "blood test", "come back and see me", "deep breath",
    "do you feel", "do you have any", "do you smoke", "do you take", "does it hurt",
    "does that hurt", "follow up", "have you been", "have you had", "have you noticed",
    "how are you feeling", "how can I help", "how do you feel", "how long have you",
    "how often do you", "I am going to examine", "I am going to prescribe", "I can prescribe",
    "I recommend", "I will examine", "I will prescribe", "I will refer you",
    "I would like to examine", "I would recommend", "I'd like you to", "I'd recommend",
    "I'll examine", "I'll prescribe", "I'll refer you", "I'm Doctor", "I'm going to examine",
    "I'm going to prescribe", "let me check your", "let me examine", "let me listen",
    "lie down", "milligrams", "on a scale of", "open your mouth", "side effects",
    "take a look at your", "the results show", "twice a day", "two times a day", "we will do",
    "what brings you", "when did it start", "when did this start", "where does it hurt",
    "your blood pressure", "your heart rate", "your results", "your symptoms",
    "your test results",
    # Portuguese
    "abra a boca", "algum sintoma", "alguma alergia", "alguma dor", "como posso ajudar",
    "como se sente", "como você se sente", "de oito em oito horas", "deite se", "desde quando",
    "duas vezes ao dia", "efeitos colaterais", "efeitos secundários", "em que posso ajudar",
    "está tomando", "está a tomar", "eu sou o doutor", "eu sou a doutora", "exame de sangue",
    "faz uso de", "há quanto tempo", "miligramas", "na escala de", "numa escala de",
    "o que a traz", "o que o traz", "o que te traz", "o senhor sente", "a senhora sente",
    "o senhor tem", "a senhora tem", "o senhor toma", "a senhora toma", "onde dói",
    "os resultados mostram", "quando começou", "respire fundo", "seus exames", "sua pressão",
    "sua receita", "tem alergia a", "toma algum", "vou examinar", "vou pedir um exame",
    "vou prescrever", "vou receitar", "você fuma", "você sente", "você tem", "você toma",
)  # fmt: skip
_PATIENT = (
    # English
    "doctor", "hurts when I", "I am allergic", "I am feeling", "I am taking", "I am worried",
    "I can't sleep", "I can't breathe", "I cannot sleep", "I don't feel well", "I feel dizzy",
    "I feel sick", "I feel tired", "I feel weak", "I felt", "I get dizzy", "I get tired",
    "I have a cough", "I have a fever", "I have a headache", "I have a pain",
    "I have been feeling", "I have been having", "I have had this", "I have pain",
    "I have trouble", "I haven't been sleeping", "I take", "I threw up", "I was wondering if",
    "I woke up", "I'm allergic", "I'm feeling", "I'm having trouble", "I'm in pain",
    "I'm taking", "I'm tired all the time", "I'm worried", "I've been coughing",
    "I've been feeling", "I've been having", "I've been taking", "I've had", "is it serious",
    "it aches", "it burns", "it gets worse", "it has been hurting", "it hurts", "it itches",
    "it started", "it's been hurting", "my back hurts", "my chest hurts", "my head hurts",
    "my knee", "my mother had", "my father had", "my pain", "my stomach", "my throat",
    "pain in my", "should I be worried", "what should I do", "will it hurt",
    # Portuguese
    "acordei com", "comecei a sentir", "dói muito", "dói quando", "doutor", "doutora",
    "é grave", "estou cansada", "estou cansado", "estou com dor", "estou com febre",
    "estou com medo", "estou com tosse", "estou me sentindo", "estou preocupada",
    "estou preocupado", "estou sentindo", "estou tomando", "estou a tomar", "eu sinto",
    "eu tenho sentido", "eu tomo", "eu vomitei", "fico cansada", "fico cansado", "fico tonta",
    "fico tonto", "me dói", "meu estômago", "minha barriga", "minha cabeça", "minha garganta",
    "minhas costas", "minha mãe teve", "meu pai teve", "meu joelho", "meu peito",
    "não consigo dormir", "não consigo respirar", "não estou bem", "não me sinto bem",
    "o que eu faço", "piora quando", "senti uma dor", "sinto dor", "sinto uma dor",
    "sou alérgica", "sou alérgico", "tenho dor", "tenho dores", "tenho febre", "tenho sentido",
    "tenho tido", "tenho tosse", "tive febre", "uma dor no", "uma dor na",
)  # fmt: skip

LEXICONS: Mapping[str, Lexicon] = {
    "consultation": {"provider": _PROVIDER, "patient": _PATIENT},
}
